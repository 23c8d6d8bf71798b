import MartletCore
import MartletEngine

@testable import MartletFormats

/// A document that a test puts together, changes and writes in either form.
indirect enum XGBoostDocument {
  case object([(key: String, value: XGBoostDocument)])
  case array([XGBoostDocument])
  case integers([Int32])
  case floats([Float])
  case bytes([UInt8])
  case text(String)
  case integer(Int)
  case float(Float)
  case truth(Bool)
  case null

  // MARK: Writing

  var json: [UInt8] { Array(jsonText.utf8) }

  private var jsonText: String {
    func list(_ parts: [String]) -> String { "[" + parts.joined(separator: ",") + "]" }
    func number(_ value: Float) -> String {
      value.isNaN ? "NaN" : value.isInfinite ? (value < 0 ? "-Infinity" : "Infinity") : "\(value)"
    }
    switch self {
    case .object(let members):
      return "{" + members.map { "\"\($0.key)\": \($0.value.jsonText)" }.joined(separator: ", ") + "}"
    case .array(let elements): return list(elements.map(\.jsonText))
    case .integers(let values): return list(values.map { "\($0)" })
    case .floats(let values): return list(values.map(number))
    case .bytes(let values): return list(values.map { "\($0)" })
    case .text(let text): return FeatureNames.list([text]).dropFirst().dropLast().description
    case .integer(let value): return "\(value)"
    case .float(let value): return number(value)
    case .truth(let value): return value ? "true" : "false"
    case .null: return "null"
    }
  }

  var ubj: [UInt8] {
    func bigEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
      withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
    func length(_ count: Int) -> [UInt8] { Array("L".utf8) + bigEndian(Int64(count)) }
    switch self {
    case .object(let members):
      return Array("{".utf8)
        + members.flatMap { length($0.key.utf8.count) + Array($0.key.utf8) + $0.value.ubj } + Array("}".utf8)
    case .array(let elements): return Array("[#".utf8) + length(elements.count) + elements.flatMap(\.ubj)
    case .integers(let values): return Array("[$l#".utf8) + length(values.count) + values.flatMap(bigEndian)
    case .floats(let values):
      return Array("[$d#".utf8) + length(values.count) + values.flatMap { bigEndian($0.bitPattern) }
    case .bytes(let values): return Array("[$U#".utf8) + length(values.count) + values
    case .text(let text): return Array("S".utf8) + length(text.utf8.count) + Array(text.utf8)
    case .integer(let value): return Array("l".utf8) + bigEndian(Int32(value))
    case .float(let value): return Array("d".utf8) + bigEndian(value.bitPattern)
    case .truth(let value): return Array((value ? "T" : "F").utf8)
    case .null: return Array("Z".utf8)
    }
  }

  // MARK: Changing

  /// The same document with `value` at `path` (`learner.trees.3.id`), new where there was none; nil takes it out.
  func with(_ path: String, _ value: XGBoostDocument?) -> XGBoostDocument {
    with(path.split(separator: ".").map(String.init)[...], value)
  }

  private func with(_ path: ArraySlice<String>, _ value: XGBoostDocument?) -> XGBoostDocument {
    guard let first = path.first else { return self }
    let rest = path.dropFirst()
    switch self {
    case .object(var members):
      let index = members.firstIndex { $0.key == first }
      let changed = rest.isEmpty ? value : (index.map { members[$0].value } ?? .object([])).with(rest, value)
      switch (index, changed) {
      case (let index?, let changed?): members[index].value = changed
      case (let index?, nil): members.remove(at: index)
      case (nil, let changed?): members.append((first, changed))
      case (nil, nil): break
      }
      return .object(members)
    case .array(var elements):
      let index = Int(first)!
      if let changed = rest.isEmpty ? value : elements[index].with(rest, value) {
        if index < elements.count { elements[index] = changed } else { elements.append(changed) }
      } else {
        elements.remove(at: index)
      }
      return .array(elements)
    default: return self
    }
  }

  // MARK: A model

  /// A tree that asks feature 0 for a threshold and then feature 1, or feature `category` for one of two categories.
  static func tree(id: Int, threshold: Float = 0.5, category: Bool = false) -> XGBoostDocument {
    .object([
      ("base_weights", .floats([0, 0, 0, 0, 0])),
      ("categories", .integers(category ? [1, 2] : [])), ("categories_nodes", .integers(category ? [2] : [])),
      ("categories_segments", .integers(category ? [0] : [])),
      ("categories_sizes", .integers(category ? [2] : [])), ("default_left", .bytes([1, 0, 0, 0, 0])),
      ("id", .integer(id)), ("left_children", .integers([1, -1, 3, -1, -1])),
      ("loss_changes", .floats([1, 0, 1, 0, 0])), ("parents", .integers([2_147_483_647, 0, 0, 2, 2])),
      ("right_children", .integers([2, -1, 4, -1, -1])),
      ("split_conditions", .floats([threshold, 0.25, 1.5, -0.5, 2])),
      ("split_indices", .integers([0, 0, category ? 2 : 1, 0, 0])),
      ("split_type", .bytes([0, 0, category ? 1 : 0, 0, 0])), ("sum_hessian", .floats([5, 2, 3, 1, 2])),
      (
        "tree_param",
        .object([
          ("num_deleted", .text("0")), ("num_feature", .text("3")), ("num_nodes", .text("5")),
          ("size_leaf_vector", .text("1")),
        ])
      ),
    ])
  }

  /// Two iterations of a tree each over three features, the last of which has categories.
  static var model: XGBoostDocument {
    .object([
      (
        "learner",
        .object([
          ("attributes", .object([("best_iteration", .text("0")), ("note", .text("ä \"note\""))])),
          ("feature_names", .array([.text("age"), .text("amount"), .text("kind")])),
          ("feature_types", .array([.text("float"), .text("int"), .text("c")])),
          (
            "gradient_booster",
            .object([
              (
                "model",
                .object([
                  (
                    "cats",
                    .object([("enc", .array([])), ("feature_segments", .integers([])), ("sorted_idx", .integers([]))])
                  ),
                  ("gbtree_model_param", .object([("num_parallel_tree", .text("1")), ("num_trees", .text("2"))])),
                  ("iteration_indptr", .array([.integer(0), .integer(1), .integer(2)])),
                  ("tree_info", .array([.integer(0), .integer(0)])),
                  ("trees", .array([tree(id: 0), tree(id: 1, category: true)])),
                ])
              ), ("name", .text("gbtree")),
            ])
          ),
          (
            "learner_model_param",
            .object([
              ("base_score", .text("[2.5E-1]")), ("boost_from_average", .text("1")), ("num_class", .text("0")),
              ("num_feature", .text("3")), ("num_target", .text("1")),
            ])
          ),
          (
            "objective",
            .object([
              ("name", .text("reg:squarederror")), ("reg_loss_param", .object([("scale_pos_weight", .text("1"))])),
            ])
          ),
        ])
      ), ("version", .array([.integer(3), .integer(2), .integer(0)])),
    ])
  }

  /// The model with texts as the categories of its last feature.
  static var textModel: XGBoostDocument {
    model.with(
      "learner.gradient_booster.model.cats.enc",
      .array([
        .object([("offsets", .integers([])), ("values", .bytes([]))]),
        .object([("offsets", .integers([])), ("values", .bytes([]))]),
        .object([("offsets", .integers([0, 3, 5, 8])), ("values", .bytes(Array("oldänew".utf8)))]),
      ]))
  }

  // MARK: Loading

  static func load(
    _ bytes: [UInt8], missingValue: Double? = nil, outputs: [String] = []
  ) throws(ModelError) -> LoadedModel {
    let result: Result<LoadedModel, ModelError> = bytes.withUnsafeBytes {
      do throws(ModelError) {
        return .success(
          try ModelLoader.load(
            bytes: $0, missingValue: missingValue, furtherOutputs: outputs,
            planning: PlanningOptions(measuringNanoseconds: 0)))
      } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  /// The message with which a file is refused; nil when it loads.
  static func refusal(_ bytes: [UInt8], outputs: [String] = []) -> String? {
    do throws(ModelError) {
      _ = try load(bytes, outputs: outputs)
      return nil
    } catch {
      return error.message
    }
  }
}
