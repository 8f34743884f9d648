/** What the files of a tenant may have in all, as a port: where nobody counts, there is none. */

/** Something that makes the files of a tenant more, or fewer. */
export interface StoredBytesChange {
  /** Sees to it that there is room for so many bytes in all. Errors: 429 where there is none; `StoreError`. */
  ensure(bytes: number): Promise<void>;
  /** It is over, and so many bytes have been added, or removed where it is less than nothing. Never rejects. Idempotent. */
  end(addedBytes: number): Promise<void>;
}

export interface StoredBytes {
  /**
   * Takes room for what is about to come; 0 where something goes. To be called before anything is written. Errors: 429 where there is
   * no room; `StoreError`.
   */
  begin(tenant: string, bytes: number): Promise<StoredBytesChange>;
}

export interface StoredBytesDeps {
  /** Absent: nobody counts. */
  readonly storedBytes?: StoredBytes;
}

/** Does what removes bytes, and tells how many: what `work` answers. Errors: those of `work`, and of the store. */
export async function removeCounted(
  { storedBytes }: StoredBytesDeps,
  tenant: string,
  work: () => Promise<number>,
): Promise<void> {
  const change = await storedBytes?.begin(tenant, 0);
  let removed = 0;
  try {
    removed = await work();
  } finally {
    await change?.end(-removed);
  }
}
