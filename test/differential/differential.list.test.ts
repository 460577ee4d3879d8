import { checkFunction } from './check-function'

checkFunction('list')
