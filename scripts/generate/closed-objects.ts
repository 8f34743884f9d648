/** Which objects that the document closes stay closed. */

import {
  type ApiDocument,
  getComponent,
  listChildren,
  type SchemaNode,
  toComponentName,
} from './document.ts';

/**
 * Responses keep `additionalProperties: false`. Requests lose it, since a harmless field that this server
 * does not know must not be refused; except where nothing else tells the members of a union apart.
 */
export function findClosedObjects(
  document: ApiDocument,
  requests: readonly SchemaNode[],
  others: readonly SchemaNode[],
): ReadonlySet<SchemaNode> {
  const asked = collectNodes(document, requests);
  const closed = new Set<SchemaNode>();
  for (const node of collectNodes(document, others)) {
    if (node.additionalProperties === false && !asked.has(node)) closed.add(node);
  }
  for (const node of asked) {
    const members = (node.oneOf ?? node.anyOf ?? []).map((member) => resolve(document, member));
    for (const member of members) {
      if (member.additionalProperties === false && !isToldApart(member, members)) closed.add(member);
    }
  }
  return closed;
}

/** Every node below the roots, through references. */
function collectNodes(document: ApiDocument, roots: readonly SchemaNode[]): Set<SchemaNode> {
  const found = new Set<SchemaNode>();
  const waiting = roots.map((root) => resolve(document, root));
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    waiting.push(...listChildren(node).map((child) => resolve(document, child)));
  }
  return found;
}

function resolve(document: ApiDocument, node: SchemaNode): SchemaNode {
  return node.$ref === undefined ? node : getComponent(document, toComponentName(node.$ref));
}

function isToldApart(member: SchemaNode, members: readonly SchemaNode[]): boolean {
  return members.every(
    (other) => other === member || other.properties === undefined || haveOwnTags(member, other),
  );
}

/** Whether both require a property whose values they do not share. */
function haveOwnTags(left: SchemaNode, right: SchemaNode): boolean {
  return (left.required ?? []).some((name) => {
    const [mine, theirs] = [listLiterals(left.properties?.[name]), listLiterals(right.properties?.[name])];
    if (mine === undefined || theirs === undefined || right.required?.includes(name) !== true) return false;
    return mine.every((value) => !theirs.includes(value));
  });
}

function listLiterals(node: SchemaNode | undefined): unknown[] | undefined {
  return node?.const === undefined ? node?.enum : [node.const];
}
