import { checkFunction } from './check-function'

checkFunction('time')
