/** The cluster of data sources that name none. */
export const defaultCluster = 'default'

/** The schema of this package's own tables, in every database of a cluster. Several clusters may share a database. */
export const ownSchemaOf = (cluster: string): string =>
  cluster === defaultCluster ? 'sharding' : `sharding_${cluster}`
