/// The rows of a batch: every input and output of a model as a row-major block `[capacity, width]`.
///
/// A tile has one owner at a time: the reactor that fills it, then whoever scores it, then the reactor again, which
/// reads the outputs. Handing it over is the only synchronization; nothing in it is locked.
///
/// `@unchecked Sendable`: ownership moves as said above; no two threads touch a tile at once.
public final class Tile: @unchecked Sendable {
  /// Type and elements a row of one block.
  public struct Block: Sendable {
    /// As callers see it; numbers of two bytes may take the place of texts.
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
  /// Whose numbers take the place of texts; nil when no input has any.
  public let coding: TextCoding?
  /// Those of `coding`, which lives as long as the tile.
  private let coders: UnsafeMutablePointer<Unmanaged<TextCoder>?>?
  private let inputStrides: UnsafeMutablePointer<Int>
  /// Bytes of all blocks, without the text heap.
  public private(set) var blockBytes: Int

  /// Rows as `plan` takes them fastest.
  public convenience init(plan: any ScoringPlan, capacity: Int) {
    self.init(signature: plan.signature, coding: plan.textCoding, capacity: capacity)
  }

  /// Rows whose texts are texts, unless a coding is given.
  public init(signature: ModelSignature, coding: TextCoding? = nil, capacity: Int) {
    inputs = signature.inputs.enumerated().map { index, input in
      let isCoded = coding?.coders[index] != nil
      return Block(
        type: input.type, width: input.width,
        stride: input.width * (isCoded ? MemoryLayout<UInt16>.size : input.type.byteWidth))
    }
    self.coding = coding
    coders = coding?.table
    inputStrides = .allocate(capacity: max(1, inputs.count))
    for (index, input) in inputs.enumerated() { (inputStrides + index).initialize(to: input.stride) }
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

  /// Copies the inputs of rows of a tile of the same model behind its own rows, texts included; there is room for them.
  public func append(rows range: Range<Int>, of source: Tile) {
    for index in 0..<inputCount {
      let stride = inputs[index].stride
      let target = starts[index] + rows * stride
      let origin = source.starts[index] + range.lowerBound * stride
      guard inputs[index].type == .text, coders?[index] == nil else {
        target.copyMemory(from: origin, byteCount: range.count * stride)
        continue
      }
      let refs = origin.assumingMemoryBound(to: TextRef.self)
      let copies = target.assumingMemoryBound(to: TextRef.self)
      for element in 0..<(range.count * inputs[index].width) {
        copies[element] = texts.store(UnsafeRawBufferPointer(start: refs[element].start, count: refs[element].count))
      }
    }
    rows += range.count
  }

  deinit {
    for index in 0..<(inputs.count + outputs.count) { starts[index].deallocate() }
    starts.deallocate()
    inputStrides.deallocate()
  }

  /// Start of input `index`; row `r` begins `r * inputs[index].stride` bytes later. Valid while the tile lives.
  @inlinable
  public func input(_ index: Int) -> UnsafeMutableRawPointer { starts[index] }

  /// Bytes of one row of input `index`.
  public func stride(_ index: Int) -> Int { inputStrides[index] }

  /// Whose numbers take the place of the texts of input `index`; nil where texts are texts.
  public func coder(_ index: Int) -> Unmanaged<TextCoder>? { coders?[index] }

  /// Start of output `index`; row `r` begins `r * outputs[index].stride` bytes later. Valid while the tile lives.
  @inlinable
  public func output(_ index: Int) -> UnsafeMutableRawPointer { starts[inputCount + index] }

  /// Where the inputs begin, one behind the other; valid until the tile grows.
  @inlinable
  public var inputStarts: UnsafePointer<UnsafeMutableRawPointer> { UnsafePointer(starts) }

  /// Where the outputs begin, one behind the other; valid until the tile grows.
  @inlinable
  public var outputStarts: UnsafePointer<UnsafeMutableRawPointer> { UnsafePointer(starts + inputCount) }

  /// Forgets all rows and texts, keeping the memory.
  public func reset() {
    rows = 0
    texts.reset()
  }
}
