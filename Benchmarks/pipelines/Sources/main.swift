// What a row costs from a call's bytes to a model's outputs: no server, no transport, one thread.
//
//   pipeline-bench MODEL.onnx ROWS.bin [SECONDS [BATCH]]
//
// ROWS.bin is written by Benchmarks/pipelines/models.py: a u32 with the number of rows, then for each input of the
// model in its order the values of all rows, numbers as they lie in memory, a text as a u32 length and its bytes, which
// is how raw contents of a call have them. Calls walk over the rows, so that each has fresh ones. Prints a line of JSON: nanoseconds a row by the size of the batch.

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

/// Rows as a call brings them, of which each call takes the next ones.
struct Pool {
  let rows: Int
  private let bytes: [UInt8]
  private let signature: ModelSignature
  /// For each input where its values begin.
  private var starts: [Int] = []
  /// For each input of texts where those of each row begin, and where those of the last end.
  private var texts: [[Int]] = []

  init(_ signature: ModelSignature, _ bytes: [UInt8]) {
    self.signature = signature
    self.bytes = bytes
    (rows, starts, texts) = bytes.withUnsafeBytes { raw in
      let rows = Int(raw.loadUnaligned(as: UInt32.self))
      var (starts, texts, position) = ([Int](), [[Int]](), 4)
      for input in signature.inputs {
        starts.append(position)
        var own: [Int] = []
        if input.type == .text {
          for element in 0..<(rows * input.width) {
            if element % input.width == 0 { own.append(position) }
            position += 4 + Int(raw.loadUnaligned(fromByteOffset: position, as: UInt32.self))
          }
          own.append(position)
        } else {
          position += rows * input.width * input.type.byteWidth
        }
        texts.append(own)
      }
      guard position == raw.count else { fail("the rows do not fit the model's inputs") }
      return (rows, starts, texts)
    }
  }

  /// Puts rows into the tile's first ones with the functions that decode a call.
  func fill(_ tile: Tile, first: Int, count: Int) {
    tile.reset()
    tile.rows = count
    bytes.withUnsafeBytes { raw in
      for index in 0..<starts.count {
        guard tile.inputs[index].type == .text else {
          let stride = tile.stride(index)
          tile.input(index)
            .copyMemory(from: raw.baseAddress! + starts[index] + first * stride, byteCount: count * stride)
          continue
        }
        let own = UnsafeRawBufferPointer(rebasing: raw[texts[index][first]..<texts[index][first + count]])
        let problem = TextTarget(tile, input: index, firstRow: 0)
          .fill(counted: own, count: count * tile.inputs[index].width)
        if problem != nil { fail("a text is none") }
      }
    }
  }
}

let arguments = CommandLine.arguments
guard arguments.count >= 3 else { fail("usage: pipeline-bench MODEL.onnx ROWS.bin [SECONDS [BATCH]]") }
let seconds = arguments.count > 3 ? Double(arguments[3]) ?? 0.2 : 0.2
let model = try read(arguments[1]).withUnsafeBytes { bytes in try ModelLoader.load(bytes: bytes) }
let pool = Pool(model.plan.signature, read(arguments[2]))
let scratch = model.plan.makeScratch()
let asked = arguments.count > 4 ? Int(arguments[4]).map { [$0] } : nil
let batches = (asked ?? [1, 8, 64, 512, 4096]).filter { $0 <= pool.rows }
let tile = Tile(plan: model.plan, capacity: batches.max() ?? 1)
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
        if first + batch > pool.rows { first = 0 }
        pool.fill(tile, first: first, count: batch)
        try model.plan.score(tile, rows: 0..<batch, scratch: scratch)
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
