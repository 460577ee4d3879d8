import { checkFunction } from './check-function'

checkFunction('custom')
