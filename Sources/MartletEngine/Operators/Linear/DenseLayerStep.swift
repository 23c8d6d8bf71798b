import CKernels
import MartletCore

/// A layer of a net: a product with constant weights, a bias and a rectifier in one pass, with the bits of `MatMul`,
/// `Add` and `Relu`.
final class DenseLayerStep: AnyOperator, @unchecked Sendable {
  // `@unchecked Sendable`: pointers address `memory`, which is only read once the step is made.
  private let memory = StepMemory()
  private let panels: UnsafeRawPointer
  private let bias: UnsafeRawPointer?
  private let depth: Int
  private let columns: Int
  private let type: ElementType
  private let rectifies: Bool

  /// - Parameters:
  ///   - weights: `[depth, columns]`, row-major.
  ///   - bias: One number a column, or nil.
  init<Element: FloatElement>(weights: [Element], depth: Int, bias: [Element]?, rectifies: Bool) {
    type = Element.self == Float.self ? .float32 : .float64
    let width = 64 / MemoryLayout<Element>.stride
    let columns = weights.count / max(1, depth)
    let count = (columns + width - 1) / width
    var panels = [Element](repeating: 0, count: count * depth * width)
    for k in 0..<depth {
      for column in 0..<columns {
        panels[(column / width * depth + k) * width + column % width] = weights[k * columns + column]
      }
    }
    self.panels = UnsafeRawPointer(memory.keep(panels))
    let padding = count * width - columns
    self.bias = bias.map { [memory] in UnsafeRawPointer(memory.keep($0 + Array(repeating: 0, count: padding))) }
    self.depth = depth
    self.columns = columns
    self.rectifies = rectifies
  }

  override func run(_ context: RunContext) throws(Status) {
    let input = context.input(0)
    guard input.rank == 2, input.dim(1) == depth else {
      throw Status(.invalidArgument, "input 0 has the shape \(input.shape), expected rows of \(depth) features")
    }
    let rows = input.dim(0)
    let output = try context.output(0, type, Shape(rows, columns))
    if type == .float32 {
      martlet_dense_float(
        input.floats, panels.assumingMemoryBound(to: Float.self), bias?.assumingMemoryBound(to: Float.self),
        output.floats, rows, depth, columns, rectifies)
    } else {
      martlet_dense_double(
        input.doubles, panels.assumingMemoryBound(to: Double.self), bias?.assumingMemoryBound(to: Double.self),
        output.doubles, rows, depth, columns, rectifies)
    }
  }
}
