module.exports = {
  rootDir: __dirname,
  testMatch: ['<rootDir>/shop.spec.ts'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      {
        module: { type: 'commonjs' },
        jsc: {
          target: 'es2022',
          parser: { syntax: 'typescript', decorators: true },
          transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
        },
      },
    ],
  },
}
