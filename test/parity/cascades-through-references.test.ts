import { Column, Entity, ManyToOne, OneToMany, PrimaryColumn, type Relation } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { hash, ReferenceTable, Sharded, ShardKey } from '../../src/index'
import { onTargets } from '../support/targets'

/** Of no group. */
@Entity()
class Office {
  @PrimaryColumn('int') id!: number
  @Column('text', { default: 'office' }) name!: string
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Person {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'person' }) name!: string
}

@Entity()
@ReferenceTable()
class Currency {
  @PrimaryColumn('int') id!: number
  @Column('text', { default: 'currency' }) name!: string
  @ManyToOne(() => Person, { cascade: true }) governor!: Relation<Person> | null
}

@Entity()
@ReferenceTable()
class Country {
  @PrimaryColumn('int') id!: number
  @Column('text', { default: 'country' }) name!: string
  @ManyToOne(() => Office, { cascade: true }) office!: Relation<Office> | null
  @ManyToOne(() => Currency, { cascade: true }) currency!: Relation<Currency> | null
  /** No cascade leads there. */
  @ManyToOne(() => Office) archive!: Relation<Office> | null
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Address {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'address' }) street!: string
  @ManyToOne(() => Country, { cascade: true }) country!: Relation<Country> | null
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Place {
  @ShardKey() @PrimaryColumn('int') id!: number
  @ManyToOne(() => Country, { cascade: true }) country!: Relation<Country> | null
  @ManyToOne(
    () => Client,
    (client) => client.places,
  )
  client!: Relation<Client> | null
}

@Entity()
@Sharded(hash({ shards: 2 }))
class Client {
  @ShardKey() @PrimaryColumn('int') id!: number
  @Column('text', { default: 'client' }) name!: string
  @ManyToOne(() => Address, { cascade: true }) address!: Relation<Address> | null
  @ManyToOne(() => Country, { cascade: true }) country!: Relation<Country> | null
  @OneToMany(
    () => Place,
    (place) => place.client,
    { cascade: true },
  )
  places!: Relation<Place>[]
}

const entities = [Office, Person, Currency, Country, Address, Place, Client]
/** On every shard and node. */
const ids = [1, 2, 3, 4, 5, 6, 7, 8]

describe('a cascade through a reference table', () => {
  onTargets({ entities, groups: ['person', 'address', 'place', 'client'] }, (target) => {
    const manager = () => target.dataSource.manager
    const inOrder = { order: { id: 'ASC' as const } }
    const stored = async () => ({
      offices: await manager().find(Office, inOrder),
      people: await manager().find(Person, inOrder),
      currencies: await manager().find(Currency, { ...inOrder, relations: { governor: true } }),
      countries: await manager().find(Country, {
        ...inOrder,
        relations: { office: true, currency: true, archive: true },
      }),
      addresses: await manager().find(Address, { ...inOrder, relations: { country: true } }),
      clients: await manager().find(Client, { ...inOrder, relations: { country: true, address: true } }),
    })

    it('writes an unsharded row beyond it', async () => {
      for (const id of ids) {
        const client = await manager().save(Client, { id, country: { id, office: { id } } })
        expect(client).toEqual({
          id,
          name: 'client',
          country: { id, name: 'country', office: { id, name: 'office' } },
        })
        await manager().save(Client, {
          id: id + 10,
          address: { id, country: { id: id + 10, office: { id: id + 10 } } },
        })
      }
      const { offices, countries, clients, addresses } = await stored()
      const all = [...ids, ...ids.map((id) => id + 10)]
      expect(offices.map(({ id }) => id)).toEqual(all)
      expect(countries.map(({ id, office }) => [id, office?.id])).toEqual(all.map((id) => [id, id]))
      expect(clients.map(({ country, address }) => country?.id ?? address?.id)).toEqual([...ids, ...ids])
      expect(addresses.map(({ country }) => country?.id)).toEqual(ids.map((id) => id + 10))
    })

    it('writes a row of other shards beyond another one', async () => {
      for (const id of ids)
        await manager().save(Client, { id, country: { id, currency: { id, governor: { id: id * 3, name: 'g' } } } })
      await manager().save(
        Client,
        ids.map((id) => ({ id, country: { id, currency: { id, governor: { id: id * 3, name: 'changed' } } } })),
      )
      const { people, currencies, countries } = await stored()
      expect(people).toEqual(ids.map((id) => ({ id: id * 3, name: 'changed' })))
      expect(currencies.map(({ id, governor }) => [id, governor?.id])).toEqual(ids.map((id) => [id, id * 3]))
      expect(countries.map(({ id, currency }) => [id, currency?.id])).toEqual(ids.map((id) => [id, id]))
    })

    it('writes what has changed in a loaded graph', async () => {
      for (const id of ids) {
        await manager().save(Office, [{ id }, { id: id + 10 }])
        await manager().save(Country, { id, office: { id }, archive: { id: id + 10 } })
        await manager().save(Client, {
          id,
          address: { id, country: { id } },
          places: [{ id: id + 10, country: { id } }],
        })
      }
      for (const id of ids) {
        const client = await manager().findOneOrFail(Client, {
          where: { id },
          relations: { address: { country: true } },
        })
        if (client.address?.country) client.address.country.name = `a${id}`
        await manager().save(client)
        const again = await manager().findOneOrFail(Client, { where: { id }, relations: { places: { country: true } } })
        const [place] = again.places
        if (place?.country) place.country.name += '!'
        again.name = `c${id}`
        await manager().save(again)
        const deep = await manager().findOneOrFail(Address, { where: { id }, relations: { country: { office: true } } })
        if (deep.country?.office) deep.country.office.name = `o${id}`
        await manager().save(deep)
      }
      const { offices, countries, clients } = await stored()
      expect(countries.map(({ name, office, archive }) => [name, office?.id, archive?.id])).toEqual(
        ids.map((id) => [`a${id}!`, id, id + 10]),
      )
      expect(clients.map(({ name }) => name)).toEqual(ids.map((id) => `c${id}`))
      expect(offices.slice(0, 8).map(({ name }) => name)).toEqual(ids.map((id) => `o${id}`))
    })

    it('takes a reference away', async () => {
      await manager().save(Client, { id: 1, country: { id: 1, office: { id: 1 }, currency: { id: 1 } } })
      const client = await manager().findOneOrFail(Client, {
        where: { id: 1 },
        relations: { country: { office: true, currency: true } },
      })
      if (client.country) Object.assign(client.country, { office: null, currency: null })
      await manager().save(client)
      expect(client.country).toMatchObject({ office: null, currency: null })
      const { countries } = await stored()
      expect(countries).toMatchObject([{ office: null, currency: null }])
    })
  })
})
