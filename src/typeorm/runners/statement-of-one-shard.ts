/** Nothing was sent: a statement that was to be that of several shards may be another on each, and is to be made for each. */
export class StatementOfOneShard extends Error {}
