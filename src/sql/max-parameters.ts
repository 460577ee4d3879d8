/** PostgreSQL's protocol counts a statement's parameters in two bytes: of more, a server sees their number less 65,536. */
export const maxParameters = 65_535
