/** Anchors as GitHub makes them, so that a link works there and here. */

export type ToSlug = (heading: string) => string;

/** One for each page: a heading that stands there twice gets a number. */
export function createSlugs(): ToSlug {
  const used = new Map<string, number>();
  return (heading) => {
    const slug = heading
      .trim()
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}\p{Pc}\- ]/gu, '')
      .replaceAll(' ', '-');
    const count = used.get(slug) ?? 0;
    used.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  };
}
