namespace GenRuntime
{
    /// <summary>How a file is opened.</summary>
    public sealed class LoadOptions
    {
        /// <summary>Where its graphs run.</summary>
        public Device Device { get; set; } = Device.Auto;

        /// <summary>Threads that one operator may use on the CPU; 0 for ONNX Runtime's choice.</summary>
        public int Threads { get; set; }
    }
}
