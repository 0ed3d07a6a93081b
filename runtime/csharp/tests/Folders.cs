namespace GenRuntime.Tests
{
    /// <summary>Where the tests find and put files.</summary>
    internal static class Folders
    {
        /// <summary>The conformance suite: golden.json and the models beside it.</summary>
        public static string Suite { get; set; }

        /// <summary>A folder to write to.</summary>
        public static string Work { get; set; }

        /// <summary>The example program.</summary>
        public static string SampleProgram { get; set; }
    }
}
