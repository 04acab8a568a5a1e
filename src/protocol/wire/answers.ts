export interface Page<T> {
  items: T[];
  /** Pass as `?cursor=` for the next page; null on the last. */
  next_cursor: string | null;
}

/** RFC 9457, with a stable `code` and the next step in `hint`. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  code: string;
  detail: string;
  hint: string;
  errors?: InvalidPath[];
}

/** One thing wrong with a body: where (a JSON Pointer), and what was expected there. */
export interface InvalidPath {
  path: string;
  expected: string;
  actual?: string;
}
