;; Products of matrices of float32 numbers, four at a time. Assemble it into site/kernel.wasm with `wat2wasm`.
(module
  (memory (import "site" "memory") 1)

  (func $sum (param $lanes v128) (result f32)
    (f32.add
      (f32.add (f32x4.extract_lane 0 (local.get $lanes)) (f32x4.extract_lane 1 (local.get $lanes)))
      (f32.add (f32x4.extract_lane 2 (local.get $lanes)) (f32x4.extract_lane 3 (local.get $lanes)))))

  ;; Write the products [R, O] of inputs [R, I] and weight [O, I]. All addresses and $stride are in bytes.
  ;; I is a multiple of 4, and R of 4: the rest is padding.
  (func (export "multiply")
    (param $inputs i32) (param $rows i32) (param $weight i32) (param $size i32) (param $outputs i32) (param $products i32)
    (local $stride i32) (local $step i32) (local $row i32) (local $x i32) (local $y i32) (local $w i32) (local $end i32)
    (local $value v128) (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $stride (i32.shl (local.get $size) (i32.const 2)))
    (local.set $step (i32.shl (local.get $outputs) (i32.const 2)))
    (block $done
      (loop $output
        (br_if $done (i32.eqz (local.get $outputs)))
        (local.set $end (i32.add (local.get $weight) (local.get $stride)))
        (local.set $row (local.get $rows))
        (local.set $x (local.get $inputs))
        (local.set $y (local.get $products))
        (loop $block
          (local.set $w (local.get $weight))
          (local.set $a (v128.const f32x4 0 0 0 0))
          (local.set $b (v128.const f32x4 0 0 0 0))
          (local.set $c (v128.const f32x4 0 0 0 0))
          (local.set $d (v128.const f32x4 0 0 0 0))
          (loop $features
            (local.set $value (v128.load (local.get $w)))
            (local.set $a (f32x4.add (local.get $a) (f32x4.mul (local.get $value) (v128.load (local.get $x)))))
            (local.set $b (f32x4.add (local.get $b) (f32x4.mul (local.get $value)
              (v128.load (i32.add (local.get $x) (local.get $stride))))))
            (local.set $c (f32x4.add (local.get $c) (f32x4.mul (local.get $value)
              (v128.load (i32.add (local.get $x) (i32.shl (local.get $stride) (i32.const 1)))))))
            (local.set $d (f32x4.add (local.get $d) (f32x4.mul (local.get $value)
              (v128.load (i32.add (local.get $x) (i32.mul (local.get $stride) (i32.const 3)))))))
            (local.set $x (i32.add (local.get $x) (i32.const 16)))
            (local.set $w (i32.add (local.get $w) (i32.const 16)))
            (br_if $features (i32.lt_u (local.get $w) (local.get $end))))
          (f32.store (local.get $y) (call $sum (local.get $a)))
          (local.set $y (i32.add (local.get $y) (local.get $step)))
          (f32.store (local.get $y) (call $sum (local.get $b)))
          (local.set $y (i32.add (local.get $y) (local.get $step)))
          (f32.store (local.get $y) (call $sum (local.get $c)))
          (local.set $y (i32.add (local.get $y) (local.get $step)))
          (f32.store (local.get $y) (call $sum (local.get $d)))
          (local.set $y (i32.add (local.get $y) (local.get $step)))
          (local.set $x (i32.add (local.get $x) (i32.mul (local.get $stride) (i32.const 3))))
          (br_if $block (local.tee $row (i32.sub (local.get $row) (i32.const 4)))))
        (local.set $weight (local.get $end))
        (local.set $products (i32.add (local.get $products) (i32.const 4)))
        (local.set $outputs (i32.sub (local.get $outputs) (i32.const 1)))
        (br $output)))))
