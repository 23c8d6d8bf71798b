import Glibc
import MartletCore
import MartletWire

/// Inputs from which the libFuzzer targets start: valid calls of every method, each in the form that a target reads.
package struct FuzzSeeds {
  private let count: Int
  private let seed: UInt64

  /// - Parameter count: how many for each target.
  package init(count: Int, seed: UInt64) {
    self.count = count
    self.seed = seed
  }

  /// Writes a folder for each target below `directory`, which exists.
  package func write(to directory: String) throws(Status) {
    let own = [FuzzModels.mixed, FuzzModels.echo, FuzzModels.numbers]
    let calls = ValidCalls(targets: own.map { ValidCalls.Target(name: $0.name, signature: $0.signature) })
    var maker = StreamMaker(calls: calls, seed: seed)
    var random = RandomSource(seed: seed)
    for number in 0..<count {
      try write([UInt8(number % 6), UInt8(number * 7 & 255)] + maker.next().bytes, directory + "/frames", number)
      try write([number % 4 == 3 ? 200 : 0] + Self.frame(calls.next(&random)), directory + "/server", number)
      let envelope = number % 2 == 0 ? calls.infer(&random, rows: 1 + number % 3) : calls.score(&random)
      let message: [UInt8] =
        number % 5 == 4 ? [2] + envelope.encoded : [UInt8(number % 2)] + Self.payload(envelope)
      try write(message, directory + "/messages", number)
    }
  }

  private static func frame(_ envelope: WireMessage) -> [UInt8] {
    let data = envelope.encoded
    var header = [UInt8](repeating: 0, count: TTRPCFrame.headerBytes)
    let frame = TTRPCFrame(dataBytes: UInt32(data.count), stream: 1, kind: TTRPCFrame.Kind.request)
    header.withUnsafeMutableBytes { frame.write(to: $0.baseAddress!) }
    return header + data
  }

  private static func payload(_ envelope: WireMessage) -> [UInt8] {
    for field in envelope.fields where field.number == 3 {
      if case .message(let message) = field.value { return message.encoded }
    }
    return []
  }

  private func write(_ bytes: [UInt8], _ folder: String, _ number: Int) throws(Status) {
    mkdir(folder, 0o755)
    let path = "\(folder)/seed-\(number)"
    guard bytes.count <= 4096 else { return }
    guard let file = fopen(path, "w") else {
      throw Status(.failedPrecondition, "\(path): \(String(cString: strerror(errno)))")
    }
    fwrite(bytes, 1, bytes.count, file)
    fclose(file)
  }
}
