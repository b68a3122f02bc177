/** Values that a backend may have at once or later, so that the memory store never waits for a turn. */

/** A value, or a promise of it. */
export type Eventual<T> = T | Promise<T>

/** Goes on with a value as soon as it is there: in this turn if it already is. */
export function whenReady<T, U>(value: Eventual<T>, next: (value: T) => Eventual<U>): Eventual<U> {
  return value instanceof Promise ? value.then(next) : next(value)
}
