import { checkFunction } from './check-function'

checkFunction('composite')
