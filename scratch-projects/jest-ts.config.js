// Decorators' types are written by TypeScript itself.
module.exports = {
  rootDir: __dirname,
  testMatch: ['<rootDir>/shop.spec.ts'],
  transform: {
    '\\.ts$': [
      'ts-jest',
      {
        tsconfig: {
          module: 'commonjs',
          moduleResolution: 'node10',
          target: 'ES2022',
          types: ['jest', 'node'],
          esModuleInterop: true,
          experimentalDecorators: true,
          emitDecoratorMetadata: true,
          ignoreDeprecations: '5.0',
        },
      },
    ],
  },
}
