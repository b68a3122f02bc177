/** The part of `fs-native-extensions` that is used; the package has no types of its own. */
declare module 'fs-native-extensions' {
  /** Locks a whole file for this open file, exclusively; false if another open file has it. */
  export function tryLock(fd: number): boolean
}
