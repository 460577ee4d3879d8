/** What a caller may do next, without reading the message. */
export type ErrorLabel = 'retryable' | 'outcome-unknown' | 'no-writes'
