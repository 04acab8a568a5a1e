/** Milliseconds of the clock that all processes of this machine share and that nobody can set. */
export const monotonicMs = (): number => Number(process.hrtime.bigint() / 1000n) / 1000;
