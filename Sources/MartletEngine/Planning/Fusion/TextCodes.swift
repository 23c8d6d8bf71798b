import MartletCore

/// One text of a row that a step looks up.
struct TextLookupColumn {
  /// Which input of the step, and which of the texts of its rows.
  var input: Int
  var element: Int
  var dictionary: CodeDictionary
}

/// A step that reads texts by looking them up, or takes their codes, as tensors of `uint16`, in their place.
protocol TextLookup {
  /// All that it reads of inputs that are texts.
  var lookups: [TextLookupColumn] { get }
}

extension OperatorBox: TextLookup where Wrapped: TextLookup {
  var lookups: [TextLookupColumn] { wrapped.lookups }
}

extension RowEncoder {
  /// None where a text may be refused by its name, which a code does not tell.
  var lookups: [TextLookupColumn] {
    guard !columns.contains(where: { $0.type == .text && $0.isNamed }) else { return [] }
    return zip(columns, dictionaries).filter { $0.0.type == .text }.map { column, dictionary in
      TextLookupColumn(input: column.input, element: column.element, dictionary: dictionary)
    }
  }
}

/// Finds the inputs of a plan whose texts are only looked up: whoever reads a call's rows can do that, while the bytes
/// are in the cache, and needs to keep nothing of them.
enum TextCodes {
  /// Most keys of a column: numbers of two bytes, one of which is for texts that are none of the keys.
  private static let maximumKeys = Int(UInt16.max)

  /// Nil when there is no such input. `outputs` are the slots of the graph's outputs.
  static func coding(
    of items: [StepList.Item], _ inputs: [ModelSignature.Input], outputs: Set<Int>
  ) -> TextCoding? {
    let coders = inputs.enumerated().map { slot, input in
      input.type == .text && !outputs.contains(slot) ? coder(of: items, slot, width: input.width) : nil
    }
    return coders.contains { $0 != nil } ? TextCoding(coders) : nil
  }

  private static func coder(of items: [StepList.Item], _ slot: Int, width: Int) -> DictionaryCoder? {
    var found = [CodeDictionary?](repeating: nil, count: width)
    for item in items where item.inputs.contains(Int32(slot)) {
      guard let step = item.run as? any TextLookup, !step.lookups.isEmpty else { return nil }
      for lookup in step.lookups where item.inputs[lookup.input] == slot {
        guard let other = found[lookup.element] else {
          found[lookup.element] = lookup.dictionary
          continue
        }
        guard other.keys == lookup.dictionary.keys else { return nil }
      }
    }
    // A column that nobody reads has no keys.
    let dictionaries = found.map { $0 ?? CodeDictionary(.texts([])) }
    guard dictionaries.allSatisfy({ $0.keys.count <= maximumKeys && $0.areTexts }) else { return nil }
    return DictionaryCoder(dictionaries)
  }
}
