/** The names that a pattern declares: a plain name, or those inside a destructuring one. */
import type { ESTree } from './module-syntax.ts'

/** In the order in which they are written. */
export function bindingNames(pattern: ESTree.ParamPattern | ESTree.BindingPattern): readonly string[] {
  switch (pattern.type) {
    case 'Identifier':
      return [pattern.name]
    case 'ObjectPattern':
      return pattern.properties.flatMap((property) =>
        bindingNames(property.type === 'RestElement' ? property.argument : property.value),
      )
    case 'ArrayPattern':
      return pattern.elements.flatMap((element) => {
        if (element === null) return []
        return bindingNames(element.type === 'RestElement' ? element.argument : element)
      })
    case 'AssignmentPattern':
      return bindingNames(pattern.left)
    case 'RestElement':
      return bindingNames(pattern.argument)
    case 'TSParameterProperty':
      return bindingNames(pattern.parameter)
  }
}
