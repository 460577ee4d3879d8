/**
 * The layers of src/: a folder imports from layers below its own, or from itself. Two folders of one layer do not
 * import each other. Types count as imports: a type that points up is a design that points up.
 * test/unit/house/layers.test.ts proves that these rules bite.
 */
const layers = [
  ['errors', 'collections'],
  ['values'],
  ['functions', 'ids', 'merging', 'sql'],
  ['topology', 'model'],
  ['routing'],
  ['query'],
  ['planning'],
  ['lookups', 'references', 'federation'],
  ['endpoints'],
  ['catalog'],
  ['execution'],
  ['transactions'],
  // Moves of shards know no TypeORM. No request path imports them: of typeorm/ the façade alone may, see `moves-in-a-request-path`.
  ['rebalancing'],
  // Splits, isolations and merges: moves whose shards do not stay what they are.
  ['resharding'],
  ['typeorm'],
  // The control plane stands on the request path; the request path never imports it.
  ['migrations'],
  ['nest', 'cli', 'testing'],
]

/** The rooms of typeorm/, lowest first. A room imports from rooms before its own, or from itself. */
const rooms = [
  'binding',
  'runners',
  'schema',
  'find',
  'hydration',
  'reads',
  'lookups',
  'references',
  'writes',
  'statements',
  'operations',
  'loads',
  'facade',
]

const inside = (folders) => `^src/(${folders.join('|')})/`
const npmPackage = (name) => `(^|/)node_modules/(@types/)?${name}/|^${name}(/|$)`

const layerRules = layers.flatMap((folders, layer) =>
  folders.map((folder) => {
    const reachable = [...layers.slice(0, layer).flat(), folder]
    return {
      name: `layer-of-${folder}`,
      comment: `${folder}/ imports ${reachable.join('/, ')}/ and nothing else of src/: see ARCHITECTURE.md.`,
      severity: 'error',
      from: { path: inside([folder]) },
      to: { path: '^src/', pathNot: inside(reachable) },
    }
  }),
)

const insideRooms = (names) => `^src/typeorm/(${names.join('|')})/`

const roomRules = rooms.map((room, index) => ({
  name: `room-of-${room}`,
  comment: `typeorm/${room}/ imports ${rooms.slice(0, index + 1).join('/, ')}/ and nothing else of typeorm/.`,
  severity: 'error',
  from: { path: insideRooms([room]) },
  to: { path: '^src/typeorm/', pathNot: insideRooms(rooms.slice(0, index + 1)) },
}))

const belowTypeorm = layers
  .slice(
    0,
    layers.findIndex((folders) => folders.includes('typeorm')),
  )
  .flat()

module.exports = {
  forbidden: [
    ...layerRules,
    ...roomRules,
    {
      name: 'file-without-room',
      comment: 'Every file of typeorm/ stands in one of its rooms: see the list above.',
      severity: 'error',
      from: { path: '^src/typeorm/', pathNot: insideRooms(rooms) },
      to: {},
    },
    {
      name: 'moves-in-a-request-path',
      comment:
        'Of typeorm/ the façade alone hands out moves of shards: what reads and writes rows knows nothing of them.',
      severity: 'error',
      from: { path: '^src/typeorm/', pathNot: insideRooms(['facade']) },
      to: { path: inside(['rebalancing', 'resharding']) },
    },
    {
      name: 'folder-without-layer',
      comment: 'Every folder of src/ has a layer. Give the new one its place in the table above.',
      severity: 'error',
      from: { path: '^src/[^/]+/', pathNot: inside(layers.flat()) },
      to: {},
    },
    {
      name: 'typeorm-below-its-layer',
      comment: 'TypeORM is touched in typeorm/ and above only: what decides must be testable without it.',
      severity: 'error',
      from: { path: inside(belowTypeorm) },
      to: { path: npmPackage('typeorm') },
    },
    {
      name: 'pg-outside-endpoints',
      comment: 'endpoints/ is the only home of pg. parameter-text.ts opens no connection: it asks pg what it sends.',
      severity: 'error',
      from: { path: '^src/', pathNot: [inside(['endpoints']), '^src/values/parameter-text.ts$'] },
      to: { path: npmPackage('pg') },
    },
    {
      name: 'no-circular',
      comment: 'Modules that need each other are one module, or hide a third.',
      severity: 'error',
      from: { path: '^src/' },
      to: { circular: true },
    },
    {
      name: 'unresolvable',
      comment: 'An import that cannot be resolved is a typo or a missing dependency.',
      severity: 'error',
      from: { path: '^src/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'dev-dependency-in-src',
      comment: 'Users do not have our devDependencies (peer dependencies are listed in both).',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg'], dependencyTypesNot: ['npm', 'npm-peer', 'type-only'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['require', 'node', 'default'] },
  },
}
