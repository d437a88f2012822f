/** Peers that `--peer` names. */
export const PEERS = ['redis', 'cassandra', 'none'] as const;
export type Peer = (typeof PEERS)[number];

/** What to run, in order, as the command line asks for it. */
export interface Plan {
  names: string[];
  /** Said before the run, e.g. what was left out and why. */
  notes: string[];
}

export interface PlanRequest {
  /** Benchmarks of the project itself, in order. */
  own: readonly string[];
  /** Empty: redis when it is there. */
  peers: readonly Peer[];
  /** Empty: all that the peers make up. */
  only: readonly string[];
  /** Why Redis cannot run; undefined when it can. Asked only when nobody named a peer. */
  missingForRedis(): string | undefined;
}

/** Which benchmarks run. Throws with the possible names when `only` holds an unknown one, or `none` has company. */
export function planRun({ own, peers, only, missingForRedis }: PlanRequest): Plan {
  const known = [...own, 'redis', 'cassandra'];
  const unknown = only.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new Error(`no benchmark is called ${unknown}; there are: ${known.join(', ')}`);
  if (peers.includes('none') && peers.length > 1) throw new Error('--peer none excludes other peers');
  // A peer that is named by --only needs no --peer beside it.
  if (only.length > 0) return { names: known.filter((name) => only.includes(name)), notes: [] };
  if (peers.length > 0)
    return { names: [...own, ...known.filter((name) => peers.includes(name as Peer))], notes: [] };
  const missing = missingForRedis();
  if (missing === undefined) return { names: [...own, 'redis'], notes: [] };
  return { names: [...own], notes: [`Redis is left out: ${missing}`] };
}

/** Load per core before a run above which its figures say little: other programs take part in them. */
const BUSY_LOAD_PER_CORE = 0.5;

/** A warning when the machine has other work (`load`: its average of the last minute); undefined when it is calm. */
export function busyNote(load: number, cores: number): string | undefined {
  if (load <= cores * BUSY_LOAD_PER_CORE) return undefined;
  return `The machine was busy before the run (load ${load.toFixed(1)} on ${cores} cores): do not trust these figures.`;
}
