/// The rows of a batch: every input and output of a model as a row-major block `[capacity, width]`.
///
/// A tile has one owner at a time: the reactor that fills it, then whoever scores it, then the reactor again, which
/// reads the outputs. Handing it over is the only synchronization; nothing in it is locked.
///
/// `@unchecked Sendable`: ownership moves as said above; no two threads touch a tile at once.
public final class Tile: @unchecked Sendable {
  /// Type and elements a row of one block.
  public struct Block: Sendable {
    public let type: ElementType
    public let width: Int
    /// Bytes of one row.
    public let stride: Int
  }

  public let inputs: [Block]
  public let outputs: [Block]
  /// Rows that fit.
  public private(set) var capacity: Int
  /// Rows that are filled; `0..<rows`.
  public var rows = 0
  /// Texts of the inputs, and those that operators make.
  public let texts: TextHeap
  @usableFromInline let starts: UnsafeMutablePointer<UnsafeMutableRawPointer>
  @usableFromInline let inputCount: Int
  /// Bytes of all blocks, without the text heap.
  public private(set) var blockBytes: Int

  public init(signature: ModelSignature, capacity: Int) {
    inputs = signature.inputs.map { Block(type: $0.type, width: $0.width, stride: $0.width * $0.type.byteWidth) }
    outputs = signature.outputs.map { Block(type: $0.type, width: $0.width, stride: $0.width * $0.type.byteWidth) }
    self.capacity = capacity
    inputCount = inputs.count
    texts = TextHeap()
    let blocks = inputs + outputs
    starts = .allocate(capacity: max(1, blocks.count))
    for (index, block) in blocks.enumerated() {
      starts.advanced(by: index).initialize(to: Self.allocate(block, rows: capacity))
    }
    blockBytes = Self.bytes(blocks, rows: capacity)
  }

  private static func allocate(_ block: Block, rows: Int) -> UnsafeMutableRawPointer {
    // 64 is a cache line and the widest vector; a row more, so that an empty tile has an address as well.
    let size = block.stride * (rows + 1)
    let start = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 64)
    start.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    return start
  }

  private static func bytes(_ blocks: [Block], rows: Int) -> Int {
    blocks.reduce(0) { $0 + $1.stride * (rows + 1) }
  }

  /// Bytes that the blocks of a tile of `rows` rows take.
  public func bytes(forRows rows: Int) -> Int { Self.bytes(inputs, rows: rows) + Self.bytes(outputs, rows: rows) }

  /// Makes room for `capacity` rows, keeping the rows that are filled; outputs are not kept. Addresses of the blocks
  /// change, those of texts do not.
  public func grow(to capacity: Int) {
    guard capacity > self.capacity else { return }
    for (index, block) in (inputs + outputs).enumerated() {
      let start = Self.allocate(block, rows: capacity)
      if index < inputCount { start.copyMemory(from: starts[index], byteCount: block.stride * rows) }
      starts[index].deallocate()
      starts[index] = start
    }
    self.capacity = capacity
    blockBytes = bytes(forRows: capacity)
  }

  deinit {
    for index in 0..<(inputs.count + outputs.count) { starts[index].deallocate() }
    starts.deallocate()
  }

  /// Start of input `index`; row `r` begins `r * inputs[index].stride` bytes later. Valid while the tile lives.
  @inlinable
  public func input(_ index: Int) -> UnsafeMutableRawPointer { starts[index] }

  /// Start of output `index`; row `r` begins `r * outputs[index].stride` bytes later. Valid while the tile lives.
  @inlinable
  public func output(_ index: Int) -> UnsafeMutableRawPointer { starts[inputCount + index] }

  /// Where the outputs begin, one behind the other; valid until the tile grows.
  @inlinable
  public var outputStarts: UnsafePointer<UnsafeMutableRawPointer> { UnsafePointer(starts + inputCount) }

  /// Forgets all rows and texts, keeping the memory.
  public func reset() {
    rows = 0
    texts.reset()
  }
}
