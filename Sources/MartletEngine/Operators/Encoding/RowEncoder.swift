import CKernels
import MartletCore

/// Makes the rows of features that a model reads straight from columns: texts and categories by one lookup each,
/// numbers through their operations, each to its place.
///
/// Every bit is that of the operators it stands for: what a category comes to was computed by them when the plan was
/// made (`CodeTables`), and numbers go through the same operations (`NumberStage`).
///
/// `@unchecked Sendable`: pointers address `memory`, which is only read once the encoder is made.
final class RowEncoder<Value: FloatElement & BitwiseCopyable>: @unchecked Sendable {
  /// Rows that are encoded at once: their codes and features stay in the first-level cache.
  static var rowsAtOnce: Int { 64 }
  /// From so many features on, neighbours that come from neighbours are encoded row by row.
  static var wideCount: Int { 8 }

  /// A column whose values are looked up.
  struct Column {
    /// Which input of the step.
    var input: Int
    /// Which element of its rows, of how many.
    var element: Int
    var width: Int
    var type: ElementType
    /// Which of the prepared numbers is looked up; nil for the element itself.
    var prepared: Int?
    var dictionary: Unmanaged<CodeDictionary>
    /// For each code whether the operators refuse it; nil when they refuse none.
    var refused: UnsafePointer<Bool>?
    /// Whether who refuses a value says which.
    var isNamed: Bool
  }

  enum Kind: UInt8 {
    /// Each code sets at most one feature of several, the others are 0.
    case single
    /// Each code has a value for every feature.
    case table
    /// The code itself, for trees.
    case code
    case numbers
  }

  /// Neighbouring features that are made alike.
  struct Segment {
    var kind: Kind
    var position: Int
    var count: Int
    /// Of a code: which column, how many codes, and for each code the feature and its value, or all values.
    var column = 0
    var codes = 0
    var positions: UnsafePointer<Int32>?
    var values: UnsafePointer<Value>
    /// Of numbers: where they come from, and which operations they go through.
    var input = 0
    var element = 0
    var width = 0
    var type = ElementType.float32
    var stages: Range<Int> = 0..<0
  }

  /// An operation with its constants for each feature of its segment.
  struct Stage {
    var kind: NumberStage.Kind
    var a: UnsafePointer<Value>
    var b: UnsafePointer<Value>
  }

  /// Features of a row.
  let width: Int
  let columns: [Column]
  let segments: [Segment]
  /// Numbers that are looked up after some operations.
  private let prepared: [Segment]
  let stages: [Stage]
  let memory: StepMemory
  /// Whether some segment sets one of its features and leaves the others 0.
  private let setsSome: Bool
  /// Keeps what the columns refer to.
  let dictionaries: [CodeDictionary]
  private let columnStart: UnsafePointer<Column>
  private let preparedStart: UnsafePointer<Segment>
  private let segmentStart: UnsafePointer<Segment>
  private let stageStart: UnsafePointer<Stage>

  init(
    width: Int, columns: [Column], dictionaries: [CodeDictionary], prepared: [Segment], segments: [Segment],
    stages: [Stage], memory: StepMemory
  ) {
    self.width = width
    self.columns = columns
    self.dictionaries = dictionaries
    self.prepared = prepared
    self.segments = segments
    self.stages = stages
    self.memory = memory
    columnStart = memory.keep(columns)
    setsSome = segments.contains { $0.kind == .single && $0.count > 1 }
    preparedStart = memory.keep(prepared)
    segmentStart = memory.keep(segments)
    stageStart = memory.keep(stages)
  }

  static var valueType: ElementType { Value.self == Float.self ? .float32 : .float64 }

  /// Writes `[rows, width]` features to `target`.
  ///
  /// Errors: INVALID_ARGUMENT without a reason when the operators refuse a row; they know the reason.
  func encode(_ context: RunContext, rows: Range<Int>, to target: UnsafeMutablePointer<Value>) throws(Status) {
    let size = min(Self.rowsAtOnce, rows.count)
    let codes = context.temporary(max(1, columns.count * size), of: Int32.self)
    let numbers = context.temporary(max(1, size), of: Value.self)
    var first = rows.lowerBound
    while first < rows.upperBound {
      let count = min(size, rows.upperBound - first)
      let block = target + (first - rows.lowerBound) * width
      try look(context, first, count, codes, stride: size, numbers)
      if setsSome { block.update(repeating: 0, count: count * width) }
      for index in 0..<segments.count {
        write(context, segmentStart + index, first, count, codes, stride: size, numbers, block)
      }
      first += count
    }
  }

  /// Writes the codes of each column, `stride` apart; `numbers` is room for `count` of them.
  @inline(__always)
  func look(
    _ context: RunContext, _ first: Int, _ count: Int, _ codes: UnsafeMutablePointer<Int32>, stride: Int,
    _ numbers: UnsafeMutablePointer<Value>
  ) throws(Status) {
    for index in 0..<columns.count {
      let column = columnStart + index
      let own = codes + index * stride
      if let number = column.pointee.prepared {
        self.column(context, preparedStart + number, 0, first, count, to: numbers)
        column.pointee.dictionary._withUnsafeGuaranteedRef {
          $0.find(numbers, Self.valueType, step: 1, rows: count, to: own)
        }
      } else if context.input(column.pointee.input).type == .uint16 {
        // The texts were looked up when they were read.
        martlet_widen_codes(
          context.input(column.pointee.input).bytes.assumingMemoryBound(to: UInt16.self)
            + first * column.pointee.width + column.pointee.element, column.pointee.width, count, own)
      } else {
        let start =
          context.input(column.pointee.input).bytes
          + (first * column.pointee.width + column.pointee.element) * column.pointee.type.byteWidth
        column.pointee.dictionary._withUnsafeGuaranteedRef {
          $0.find(start, column.pointee.type, step: column.pointee.width, rows: count, to: own)
        }
      }
      if let refused = column.pointee.refused {
        for row in 0..<count where refused[Int(own[row])] {
          throw Status(.invalidArgument, "a value is in no category")
        }
      }
    }
  }

  private func write(
    _ context: RunContext, _ segment: UnsafePointer<Segment>, _ first: Int, _ count: Int,
    _ codes: UnsafePointer<Int32>, stride: Int, _ numbers: UnsafeMutablePointer<Value>,
    _ block: UnsafeMutablePointer<Value>
  ) {
    let size = segment.pointee.count
    let position = segment.pointee.position
    let values = segment.pointee.values
    switch segment.pointee.kind {
    case .single:
      let own = codes + segment.pointee.column * stride
      let positions = segment.pointee.positions.unsafelyUnwrapped
      if size == 1 {
        for row in 0..<count { block[row * width + position] = values[Int(own[row])] }
        return
      }
      for row in 0..<count {
        let code = Int(own[row])
        block[row * width + Int(positions[code])] = values[code]
      }
    case .table:
      let own = codes + segment.pointee.column * stride
      for row in 0..<count {
        (block + row * width + position).update(from: values + Int(own[row]) * size, count: size)
      }
    case .code:
      let own = codes + segment.pointee.column * stride
      for row in 0..<count { block[row * width + position] = Value(own[row]) }
    case .numbers:
      if size >= Self.wideCount {
        for row in 0..<count {
          let to = block + row * width + position
          load(context, segment, row: first + row, element: 0, step: 1, count: size, to: to)
          for index in segment.pointee.stages {
            let stage = stageStart[index]
            NumberStage.apply(stage.kind, to, size, stage.a, stage.b, step: 1)
          }
        }
      } else {
        for index in 0..<size {
          column(context, segment, index, first, count, to: numbers)
          for row in 0..<count { block[row * width + position + index] = numbers[row] }
        }
      }
    }
  }

  /// Feature `index` of a segment of numbers, for `count` rows from `first` on.
  @inline(__always)
  func column(
    _ context: RunContext, _ segment: UnsafePointer<Segment>, _ index: Int, _ first: Int, _ count: Int,
    to numbers: UnsafeMutablePointer<Value>
  ) {
    load(context, segment, row: first, element: index, step: segment.pointee.width, count: count, to: numbers)
    for stage in segment.pointee.stages {
      let stage = stageStart[stage]
      NumberStage.apply(stage.kind, numbers, count, stage.a + index, stage.b + index, step: 0)
    }
  }

  /// Reads `count` numbers, `step` apart, in the precision of the features.
  @inline(__always)
  private func load(
    _ context: RunContext, _ segment: UnsafePointer<Segment>, row: Int, element: Int, step: Int, count: Int,
    to target: UnsafeMutablePointer<Value>
  ) {
    let from = context.input(segment.pointee.input).bytes
    let start = row * segment.pointee.width + segment.pointee.element + element
    switch segment.pointee.type {
    case .float32:
      let values = from.assumingMemoryBound(to: Float.self) + start
      for index in 0..<count { target[index] = Value(values[index * step]) }
    case .float64:
      let values = from.assumingMemoryBound(to: Double.self) + start
      for index in 0..<count { target[index] = Value(values[index * step]) }
    case .int64:
      let values = from.assumingMemoryBound(to: Int64.self) + start
      for index in 0..<count { target[index] = Value(values[index * step]) }
    default:
      let values = from.assumingMemoryBound(to: Int32.self) + start
      for index in 0..<count { target[index] = Value(values[index * step]) }
    }
  }

  /// What a plan's description says of this encoder.
  var summary: String {
    func count(_ kind: Kind) -> Int { segments.reduce(0) { $0 + ($1.kind == kind ? $1.count : 0) } }
    let parts = [
      (count(.numbers), "number"), (count(.code), "code of a category"),
      (count(.single) + count(.table), "feature of a category"),
    ]
    func text(_ count: Int, _ name: String) -> String {
      if count == 1 { return "1 \(name)" }
      let words = name.split(separator: " ")
      return "\(count) \(words[0])s" + (words.count > 1 ? " of categories" : "")
    }
    return "rows of " + parts.filter { $0.0 > 0 }.map(text).joined(separator: " and ")
  }
}
