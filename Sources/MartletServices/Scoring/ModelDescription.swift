import MartletCore
import MartletRepository
import MartletWire

/// Encodes what a model takes and gives, as a `DescribeResponse`.
enum ModelDescription {
  static func encode(_ model: Model, versions: [String]) -> ProtoBuffer {
    var answer = ProtoBuffer()
    answer.string(1, model.name)
    answer.string(2, model.versionText)
    answer.string(3, model.format)
    answer.string(4, model.digest)
    for version in versions { answer.element(5, version) }
    for column in model.signature.columns {
      answer.message(6) { message in
        message.string(1, column.name)
        message.integer(2, type(column.type))
        message.bool(3, model.allowsMissing(column))
        add(column.categories, to: &message, text: 4, integer: 5)
      }
    }
    for output in model.signature.outputs {
      answer.message(7) { message in
        message.string(1, output.name)
        message.integer(2, type(output.type))
        message.integer(3, Int64(output.width))
        message.string(4, output.role.rawValue)
        add(output.classes, to: &message, text: 5, integer: 6)
      }
    }
    answer.string(8, model.configuration.description ?? "")
    answer.string(9, model.configuration.owner ?? "")
    return answer
  }

  private static func add(_ labels: ClassLabels?, to message: inout ProtoBuffer, text: Int, integer: Int) {
    switch labels {
    case .text(let names): for name in names { message.element(text, name) }
    case .integer(let numbers): message.packed(integer, numbers)
    case nil: break
    }
  }

  /// The value of `martlet.v1.ColumnType`.
  private static func type(_ type: ElementType) -> Int64 {
    switch type {
    case .float64: 1
    case .float32, .float16: 2
    case .text: 4
    case .bool: 5
    default: 3
    }
  }
}
