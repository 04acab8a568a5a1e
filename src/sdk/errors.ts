/**
 * Thrown by a function whose job another attempt would not help: the input is wrong, the account is closed. The job fails at once, whatever attempts
 * are left. Any other error says the same by a property `retryable` that is false.
 */
export class NonRetryableError extends Error {
  override readonly name = "NonRetryableError";
  readonly retryable = false;
}
