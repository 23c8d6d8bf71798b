import MartletEngine

/// XGBoost's own model files, as `save_model` writes them: a document in JSON or UBJSON.
///
/// Source: xgboost 3.2, `doc/tutorials/saving_model.rst`, `src/gbm/gbtree_model.cc` and `src/tree/tree_model.cc`.
enum XGBoostFormat: ModelFormat {
  static let name = "xgboost"

  /// A document begins with an object; `binf` is the magic of the old binary format, which is recognized to be refused.
  static func recognizes(_ bytes: UnsafeRawBufferPointer) -> Bool {
    bytes.first == UInt8(ascii: "{") || bytes.starts(with: "binf".utf8)
  }

  static func read(_ bytes: UnsafeRawBufferPointer) throws(ModelError) -> Graph {
    guard bytes.first == UInt8(ascii: "{") else {
      throw ModelError(
        "the file is in XGBoost's old binary format, which XGBoost itself no longer reads from version 3.1 on; load it "
          + "with an earlier version and save it as .ubj or .json")
    }
    let model: XGBoostModel
    do throws(DocumentError) {
      model =
        isUBJSON(bytes)
        ? try XGBoostModelReader<UBJSONReader>.read(bytes) : try XGBoostModelReader<JSONReader>.read(bytes)
    } catch {
      throw error.modelError("XGBoost file")
    }
    return try XGBoostGraph.graph(model)
  }

  /// Behind the brace, JSON has space or a quote; UBJSON has the kind of the length of a key, or the end.
  private static func isUBJSON(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count > 1 else { return false }
    switch bytes[1] {
    case UInt8(ascii: "L"), UInt8(ascii: "l"), UInt8(ascii: "I"), UInt8(ascii: "U"), UInt8(ascii: "i"),
      UInt8(ascii: "$"), UInt8(ascii: "#"):
      return true
    default: return false
    }
  }
}
