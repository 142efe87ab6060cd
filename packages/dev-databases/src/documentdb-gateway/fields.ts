import { BSONType, onDemand } from 'bson';

/** One element of a document, not decoded: commands can be large, and the gateway cares for a few names only. */
export type Field = { type: number; bytes: Buffer };

/** Top-level elements of a BSON document. @throws BSONError when it is malformed. */
export function fieldsOf(document: Buffer): Map<string, Field> {
  const fields = new Map<string, Field>();
  for (const [type, nameOffset, nameLength, offset, length] of onDemand.parseToElements(document)) {
    const name = document.toString('utf8', nameOffset, nameOffset + nameLength);
    fields.set(name, { type, bytes: document.subarray(offset, offset + length) });
  }
  return fields;
}

/** Elements of an array, which BSON keeps as a document with numbered names. */
export function itemsOf(field: Field | undefined): Field[] {
  return field?.type === BSONType.array ? [...fieldsOf(field.bytes).values()] : [];
}

export function asText(field: Field | undefined): string | undefined {
  return field?.type === BSONType.string ? field.bytes.toString('utf8', 4, field.bytes.length - 1) : undefined;
}

export function asDocument(field: Field | undefined): Map<string, Field> | undefined {
  return field?.type === BSONType.object ? fieldsOf(field.bytes) : undefined;
}

/** Whole numbers arrive as int32, int64 or double, whatever the language of the driver prefers. */
export function asInteger(field: Field | undefined): bigint | undefined {
  if (field?.type === BSONType.long) return field.bytes.readBigInt64LE(0);
  if (field?.type === BSONType.int) return BigInt(field.bytes.readInt32LE(0));
  if (field?.type === BSONType.double) return BigInt(Math.trunc(field.bytes.readDoubleLE(0)));
  return undefined;
}

/** MongoDB's idea of a true flag: true, or a number other than zero. */
export function isTrue(field: Field | undefined): boolean {
  return field?.type === BSONType.bool ? field.bytes[0] === 1 : (asInteger(field) ?? 0n) !== 0n;
}
