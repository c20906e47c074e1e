// Matrices, and products with weights.
//
// R rows, I input features, O output features.

/** A matrix of float32 numbers, row after row. */
export class Matrix {
  /**
   * @param {number} rows R
   * @param {number} columns
   * @param {Float32Array} [data] [R, columns]; zeros if it is not given.
   */
  constructor(rows, columns, data = new Float32Array(rows * columns)) {
    this.rows = rows;
    this.columns = columns;
    this.data = data;
  }

  /** @returns {Float32Array} A view of one row. */
  row(index) {
    return this.data.subarray(index * this.columns, (index + 1) * this.columns);
  }

  /**
   * @param {number[]} rows Indices, in any order, with repetitions.
   * @returns {Matrix} A copy of these rows.
   */
  select(rows) {
    const selected = new Matrix(rows.length, this.columns);
    rows.forEach((row, index) => selected.row(index).set(this.row(row)));
    return selected;
  }
}

/** Add the elements of a matrix or vector to another one of the same size. */
export function addTo(sum, values) {
  for (let index = 0; index < sum.length; index++) sum[index] += values[index];
}

export function sigmoid(value) {
  return 1 / (1 + Math.exp(-value));
}

export function tanhInPlace(values) {
  for (let index = 0; index < values.length; index++) values[index] = Math.tanh(values[index]);
  return values;
}

/** The dot product of `size` elements of two arrays. */
export function dot(left, leftStart, right, rightStart, size) {
  let sum = 0;
  for (let index = 0; index < size; index++) sum += left[leftStart + index] * right[rightStart + index];
  return sum;
}

/** Concatenate matrices of the same number of rows side by side. */
export function concatenate(parts) {
  if (parts.length === 1) return parts[0];
  const rows = parts[0].rows;
  const joined = new Matrix(rows, parts.reduce((sum, part) => sum + part.columns, 0));
  for (let row = 0; row < rows; row++) {
    let start = row * joined.columns;
    for (const part of parts) {
      joined.data.set(part.row(row), start);
      start += part.columns;
    }
  }
  return joined;
}

const ROWS = 5;

/** Products in plain JavaScript. */
export class JavaScriptKernel {
  /** @returns {Float32Array} Space for weights. */
  allocate(count) {
    return new Float32Array(count);
  }

  /**
   * @param {Float32Array} inputs [R, I]
   * @param {number} rows R
   * @param {Float32Array} weight [O, I], from `allocate`.
   * @param {Float32Array} products [R, O], overwritten.
   */
  multiply(inputs, rows, weight, products) {
    const size = inputs.length / rows;
    const outputs = products.length / rows;
    // Numbers of 64 bits need no conversion in the inner loop. Rows are multiplied in blocks of ROWS.
    const blocks = Math.ceil(rows / ROWS);
    const doubles = new Float64Array(blocks * ROWS * size);
    doubles.set(inputs);
    for (let block = 0; block < blocks; block++) {
      const first = block * ROWS;
      const last = Math.min(rows - first, ROWS);
      for (let output = 0; output < outputs; output++) {
        const start = output * size;
        let a = 0, b = 0, c = 0, d = 0, e = 0;
        let place = first * size;
        if (last === 1) {
          for (let index = 0; index < size; index++) a += doubles[place + index] * weight[start + index];
        } else {
          for (let index = 0; index < size; index++) {
            const value = weight[start + index];
            a += doubles[place] * value;
            b += doubles[place + size] * value;
            c += doubles[place + 2 * size] * value;
            d += doubles[place + 3 * size] * value;
            e += doubles[place + 4 * size] * value;
            place += 1;
          }
        }
        const sums = [a, b, c, d, e];
        for (let row = 0; row < last; row++) products[(first + row) * outputs + output] = sums[row];
      }
    }
  }
}

const BLOCK = 4; // rows that the WebAssembly kernel multiplies at once
const MAX_ROWS = 32; // rows of one call

/** Products in WebAssembly with vectors of four numbers, for weights whose number of features I is a multiple of 4. */
export class WasmKernel {
  /**
   * @param {WebAssembly.Module} module `kernel.wasm`.
   * @param {import("./weights.js").Weights} weights The weights that will be allocated.
   */
  constructor(module, weights) {
    const { count, largest } = weights.sizes;
    this._scratch = MAX_ROWS * largest; // elements of the inputs, and of the products
    const memory = new WebAssembly.Memory({ initial: Math.ceil((4 * (count + 2 * this._scratch)) / 65536) + 1 });
    this._memory = memory.buffer;
    this._inputs = new Float32Array(this._memory, 0, this._scratch);
    this._products = new Float32Array(this._memory, 4 * this._scratch, this._scratch);
    this._next = 8 * this._scratch;
    this._multiply = new WebAssembly.Instance(module, { site: { memory } }).exports.multiply;
    this._fallback = new JavaScriptKernel();
  }

  allocate(count) {
    const space = new Float32Array(this._memory, this._next, count);
    this._next += 4 * count;
    return space;
  }

  multiply(inputs, rows, weight, products) {
    const size = inputs.length / rows;
    const outputs = products.length / rows;
    if (size % 4) {
      this._fallback.multiply(inputs, rows, weight, products);
      return;
    }
    for (let first = 0; first < rows; first += MAX_ROWS) {
      const last = Math.min(rows, first + MAX_ROWS);
      const padded = Math.ceil((last - first) / BLOCK) * BLOCK;
      this._inputs.set(inputs.subarray(first * size, last * size));
      this._multiply(0, padded, weight.byteOffset, size, outputs, this._products.byteOffset);
      products.set(this._products.subarray(0, (last - first) * outputs), first * outputs);
    }
  }
}

/** W x + b, where x may be a concatenation of several inputs. */
export class MatrixProduct {
  /**
   * @param {import("./weights.js").Weights} weights
   * @param {string} name The name of W [O, I].
   * @param {number} outputs O
   * @param {number} inputs I
   * @param {string} [bias] The name of b [O].
   */
  constructor(weights, name, outputs, inputs, bias) {
    this.outputSize = outputs;
    this._kernel = weights.kernel;
    this._inputSize = inputs;
    this._weight = weights.take(name, outputs, inputs);
    this._bias = bias === undefined ? null : weights.take(bias, outputs);
  }

  /**
   * @param {...Matrix} inputs [R, I'] each
   * @returns {Matrix} [R, O]
   */
  multiply(...inputs) {
    const products = this.withoutBias(...inputs);
    if (this._bias) for (let row = 0; row < products.rows; row++) addTo(products.row(row), this._bias);
    return products;
  }

  /** The products W x [R, O] without the bias. */
  withoutBias(...inputs) {
    const joined = concatenate(inputs);
    if (joined.columns !== this._inputSize) throw new Error(`found ${joined.columns} features, expected ${this._inputSize}`);
    const products = new Matrix(joined.rows, this.outputSize);
    this._kernel.multiply(joined.data, joined.rows, this._weight, products.data);
    return products;
  }

  /** The bias b [O]; null without one. */
  get bias() {
    return this._bias;
  }
}

/** The product with the parameter `name`.weight [O, I], and with `name`.bias [O] if `bias` is true. */
export function linear(weights, name, outputs, inputs, bias = false) {
  return new MatrixProduct(weights, `${name}.weight`, outputs, inputs, bias ? `${name}.bias` : undefined);
}
