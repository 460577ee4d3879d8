import { checkFunction } from './check-function'

checkFunction('hash')
