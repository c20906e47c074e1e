// The file of a site: a safetensors file with the parameters, and the configuration and subword models in its metadata.

import { JavaScriptKernel, WasmKernel } from "./products.js";

const BYTES = { F32: 4, I8: 1 };

/** The parameters by name. */
export class Weights {
  /**
   * @param {ArrayBuffer} file The bytes of the file.
   * @param {WebAssembly.Module | null} module `kernel.wasm`. Null: products are computed in plain JavaScript.
   */
  constructor(file, module) {
    const length = Number(new DataView(file).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, length)));
    /** @type {Record<string, string>} */
    this.metadata = header.__metadata__;
    delete header.__metadata__;
    this._entries = header;
    this._file = file;
    this._start = 8 + length;
    this._taken = new Map();
    this.kernel = module ? new WasmKernel(module, this) : new JavaScriptKernel();
  }

  /** The number of parameters, and the greatest length of a dimension. */
  get sizes() {
    const shapes = Object.values(this._entries).map(({ shape }) => shape);
    return { count: shapes.reduce((sum, shape) => sum + size(shape), 0), largest: Math.max(...shapes.flat()) };
  }

  /**
   * @param {string} name
   * @param {...number} shape
   * @returns {Float32Array} The parameter, row after row.
   */
  take(name, ...shape) {
    const entry = this._entries[name];
    if (!entry || entry.shape.join() !== shape.join()) {
      throw new Error(`The parameter ${name} has the shape [${entry?.shape}] instead of [${shape}].`);
    }
    if (!this._taken.has(name)) this._taken.set(name, this._read(name, entry));
    return this._taken.get(name);
  }

  _read(name, { dtype, shape, data_offsets: [start, end] }) {
    const count = size(shape);
    if (!(dtype in BYTES) || (end - start) !== count * BYTES[dtype]) throw new Error(`The parameter ${name} is damaged.`);
    const values = this.kernel.allocate(count);
    if (dtype === "F32") {
      values.set(new Float32Array(this._file, this._start + start, count));
      return values;
    }
    // Eight bits a number, with a scale for each row.
    const scales = this._entries[`${name}.scale`];
    const scale = new Float32Array(this._file, this._start + scales.data_offsets[0], shape[0]); // [O]
    const small = new Int8Array(this._file, this._start + start, count); // [O, I]
    const columns = count / shape[0];
    for (let index = 0; index < count; index++) values[index] = small[index] * scale[Math.floor(index / columns)];
    return values;
  }

  /** Free the bytes of the file. */
  close() {
    this._file = null;
  }
}

function size(shape) {
  return shape.reduce((product, length) => product * length, 1);
}
