export const LEVELS = [
  'ONE',
  'TWO',
  'THREE',
  'QUORUM',
  'ALL',
  'LOCAL_ONE',
  'LOCAL_QUORUM',
  'EACH_QUORUM',
] as const;
/** How many replicas must have answered before an answer is given (Cassandra's names). */
export type ConsistencyLevel = (typeof LEVELS)[number];

export function isLevel(text: string): text is ConsistencyLevel {
  return (LEVELS as readonly string[]).includes(text);
}
