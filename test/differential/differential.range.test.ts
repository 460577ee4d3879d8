import { checkFunction } from './check-function'

checkFunction('range')
