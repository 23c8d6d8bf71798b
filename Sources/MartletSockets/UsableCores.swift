/// How many cores this process may use.
public enum UsableCores {
  public static func count() -> Int { fatalError("declared only") }
}
