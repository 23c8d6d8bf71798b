// What a row costs in a model's plan alone: no server, no transport, one thread.
//
//   pipeline-bench MODEL.onnx ROWS.bin [SECONDS [BATCH]]
//
// ROWS.bin is written by Benchmarks/pipelines/models.py: a u32 with the number of rows, then for each input of the
// model in its order the values of all rows, numbers as they lie in memory, a text as a u32 length and its bytes. Calls
// walk over the rows, so that each has fresh ones. Prints a line of JSON: nanoseconds a row by the size of the batch.

import Glibc
import MartletCore
import MartletEngine
import MartletFormats

func say(_ message: String) {
  let line = Array((message + "\n").utf8)
  _ = write(STDERR_FILENO, line, line.count)
}

func fail(_ message: String) -> Never {
  say(message)
  exit(1)
}

func read(_ path: String) -> [UInt8] {
  guard let file = fopen(path, "rb") else { fail("cannot open \(path)") }
  defer { fclose(file) }
  fseek(file, 0, SEEK_END)
  let size = ftell(file)
  rewind(file)
  return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
    count = fread(buffer.baseAddress, 1, size, file)
  }
}

/// Fills a tile with all rows of the file.
func tile(_ signature: ModelSignature, _ bytes: [UInt8]) -> Tile {
  bytes.withUnsafeBytes { raw in
    let rows = Int(raw.loadUnaligned(as: UInt32.self))
    let tile = Tile(signature: signature, capacity: rows)
    var position = 4
    for (index, input) in signature.inputs.enumerated() {
      if input.type == .text {
        let texts = tile.input(index).assumingMemoryBound(to: TextRef.self)
        for element in 0..<(rows * input.width) {
          let length = Int(raw.loadUnaligned(fromByteOffset: position, as: UInt32.self))
          position += 4
          texts[element] = tile.texts.store(UnsafeRawBufferPointer(rebasing: raw[position..<(position + length)]))
          position += length
        }
      } else {
        let size = rows * input.width * input.type.byteWidth
        tile.input(index).copyMemory(from: raw.baseAddress! + position, byteCount: size)
        position += size
      }
    }
    guard position == raw.count else { fail("the rows do not fit the model's inputs") }
    tile.rows = rows
    return tile
  }
}

let arguments = CommandLine.arguments
guard arguments.count >= 3 else { fail("usage: pipeline-bench MODEL.onnx ROWS.bin [SECONDS [BATCH]]") }
let seconds = arguments.count > 3 ? Double(arguments[3]) ?? 0.2 : 0.2
let model = try read(arguments[1]).withUnsafeBytes { bytes in try ModelLoader.load(bytes: bytes) }
let rows = tile(model.plan.signature, read(arguments[2]))
let scratch = model.plan.makeScratch()
let asked = arguments.count > 4 ? Int(arguments[4]).map { [$0] } : nil
let batches = (asked ?? [1, 8, 64, 512, 4096]).filter { $0 <= rows.rows }
let rounds = 7
var times = [[Double]](repeating: [], count: batches.count)
for _ in 0..<rounds {
  for (number, batch) in batches.enumerated() {
    var first = 0
    var scored = 0
    let start = MonotonicTime.now()
    var elapsed = 0.0
    repeat {
      for _ in 0..<max(1, 512 / batch) {
        if first + batch > rows.rows { first = 0 }
        try model.plan.score(rows, rows: first..<(first + batch), scratch: scratch)
        first += batch
        scored += batch
      }
      elapsed = Double(MonotonicTime.now().nanoseconds(since: start))
    } while elapsed < seconds * 1e9 / Double(rounds)
    times[number].append(elapsed / Double(scored))
  }
}
let figures = zip(batches, times).map { batch, times in
  "\"\(batch)\": \((times.sorted()[rounds / 2] * 10).rounded() / 10)"
}
print("{\(figures.joined(separator: ", "))}")
say(model.plan.summary)
