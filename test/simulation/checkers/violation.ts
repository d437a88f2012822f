/** What a checker found wrong. */
export interface Violation {
  check: string;
  detail: string;
}
