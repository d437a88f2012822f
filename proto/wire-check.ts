import { isUtf8 } from 'node:buffer';

/**
 * Whether bytes really are a message of a type. protobufjs takes a string that is cut short, ill-formed
 * UTF-8, and a field of the wrong wire type, and makes something of them: a key cut short would be counted
 * as another key. Unknown fields are allowed, as protobuf has it.
 */
export interface Shape {
  readonly name: string;
  /** By field number. */
  readonly fields: readonly (ShapeField | undefined)[];
}

interface ShapeField {
  name: string;
  wireType: number;
  /** A repeated number may also come packed. */
  packable: boolean;
  text: boolean;
  message: Shape | undefined;
}

/** The part of a DescriptorProto that is needed, as proto-loader gives it. */
export interface Descriptor {
  name: string;
  field: { name: string; number: number; label: string; type: string; typeName: string }[];
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const WIRE_TYPE: Record<string, number> = {
  TYPE_DOUBLE: FIXED64,
  TYPE_FIXED64: FIXED64,
  TYPE_SFIXED64: FIXED64,
  TYPE_FLOAT: FIXED32,
  TYPE_FIXED32: FIXED32,
  TYPE_SFIXED32: FIXED32,
  TYPE_STRING: BYTES,
  TYPE_BYTES: BYTES,
  TYPE_MESSAGE: BYTES,
};

/** Shape of a message; `resolve` finds nested types by name, and what it does not find is taken as it is. */
export function shapeOf(
  descriptor: Descriptor,
  resolve: (typeName: string) => Descriptor | undefined,
): Shape {
  const fields: (ShapeField | undefined)[] = [];
  for (const { name, number, label, type, typeName } of descriptor.field) {
    const nested = type === 'TYPE_MESSAGE' ? resolve(typeName) : undefined;
    const wireType = WIRE_TYPE[type] ?? VARINT;
    fields[number] = {
      name,
      wireType,
      packable: label === 'LABEL_REPEATED' && wireType !== BYTES,
      text: type === 'TYPE_STRING',
      message: nested && shapeOf(nested, resolve),
    };
  }
  return { name: descriptor.name, fields };
}

/** Position behind the varint at `at`, or -1. */
function skipVarint(bytes: Buffer, at: number, end: number): number {
  const limit = Math.min(end, at + 10);
  for (let i = at; i < limit; i++) if (bytes[i]! < 0x80) return i + 1;
  return -1;
}

/** Tags and lengths: at most 32 bits; -1 when larger or cut short. */
function readVarint32(bytes: Buffer, at: number, next: number): number {
  if (next - at > 5) return -1;
  let value = 0;
  for (let i = next - 1; i >= at; i--) value = value * 128 + (bytes[i]! & 0x7f);
  return value <= 0xffff_ffff ? value : -1;
}

function isText(bytes: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (bytes[i]! >= 0x80) return isUtf8(bytes.subarray(i, to));
  return true;
}

/** What is wrong with the bytes, in words; `undefined` when they are a message of this shape. */
export function wireFault(shape: Shape, bytes: Buffer, from = 0, end = bytes.length): string | undefined {
  let at = from;
  while (at < end) {
    let next = skipVarint(bytes, at, end);
    const tag = next < 0 ? -1 : readVarint32(bytes, at, next);
    if (tag < 8) return `${shape.name}: a field's tag is cut short`;
    const field = shape.fields[Math.floor(tag / 8)];
    const wireType = tag & 7;
    if (field && wireType !== field.wireType && !(field.packable && wireType === BYTES)) {
      return `${shape.name}.${field.name} has the wrong type`;
    }
    at = next;
    if (wireType === VARINT) next = skipVarint(bytes, at, end);
    else if (wireType === FIXED64) next = at + 8;
    else if (wireType === FIXED32) next = at + 4;
    else if (wireType === BYTES) {
      const start = skipVarint(bytes, at, end);
      const length = start < 0 ? -1 : readVarint32(bytes, at, start);
      next = length < 0 ? -1 : start + length;
      if (next >= 0 && next <= end && field) {
        if (field.text && !isText(bytes, start, next)) return `${shape.name}.${field.name} is not UTF-8`;
        const fault = field.message && wireFault(field.message, bytes, start, next);
        if (fault) return fault;
      }
    } else return `${shape.name}: unknown wire type ${wireType}`;
    if (next < 0 || next > end) return `${shape.name}${field ? `.${field.name}` : ''} is cut short`;
    at = next;
  }
  return undefined;
}
