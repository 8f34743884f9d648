/** Shapes → the text of TypeBox schemas. The formatter sets it out afterwards. */

import { hasSelf, type Options, type Property, type Shape } from './shapes.ts';

/** The declaration of a component: the schema, and the type of the same name. */
export function printComponent(name: string, shape: Shape): string {
  const text = printShape(shape);
  // The id is fixed, since TypeBox would number it by the order in which modules are loaded.
  const schema = hasSelf(shape) ? `Type.Recursive((Self) => ${text}, { $id: '${name}' })` : text;
  return `export const ${name} = ${schema};\nexport type ${name} = Static<typeof ${name}>;\n`;
}

export function printShape(shape: Shape): string {
  switch (shape.kind) {
    case 'string':
      return printCall('String', [], shape.options);
    case 'number':
      return printCall('Number', [], shape.options);
    case 'integer':
      return printCall('Integer', [], shape.options);
    case 'boolean':
      return printCall('Boolean', [], shape.options);
    case 'null':
      return 'Type.Null()';
    case 'unknown':
      return 'Type.Unknown()';
    case 'binary':
      return "Type.Unsafe<Blob>(Type.Unknown({ format: 'binary' }))";
    case 'literal':
      return printCall('Literal', [JSON.stringify(shape.value)], shape.options);
    case 'array':
      return printCall('Array', [printShape(shape.items)], shape.options);
    case 'object':
      return printObject(shape.properties, shape.rest, shape.options);
    case 'map':
      return `createMap(${[printShape(shape.values), ...printOptions(shape.options)].join(', ')})`;
    case 'union':
      return printCall('Union', [printList(shape.members)], shape.options);
    case 'intersection':
      return printCall('Intersect', [printList(shape.members)], {});
    case 'reference':
      return shape.name;
    case 'self':
      return 'Self';
  }
}

function printCall(name: string, args: readonly string[], options: Options): string {
  return `Type.${name}(${[...args, ...printOptions(options)].join(', ')})`;
}

function printOptions(options: Options): string[] {
  return Object.keys(options).length === 0 ? [] : [JSON.stringify(options)];
}

function printList(shapes: readonly Shape[]): string {
  return `[${shapes.map(printShape).join(', ')}]`;
}

function printObject(properties: readonly Property[], rest: Shape | false | null, options: Options): string {
  const fields = properties.map(({ name, shape, isRequired }) => {
    const text = printShape(shape);
    return `${JSON.stringify(name)}: ${isRequired ? text : `Type.Optional(${text})`}`;
  });
  const entries = Object.entries(options).map(([name, value]) => `${name}: ${JSON.stringify(value)}`);
  if (rest !== null) entries.push(`additionalProperties: ${rest === false ? 'false' : printShape(rest)}`);
  const tail = entries.length === 0 ? '' : `, { ${entries.join(', ')} }`;
  return `Type.Object({ ${fields.join(', ')} }${tail})`;
}
