namespace GenRuntime
{
    /// <summary>Where graphs run.</summary>
    public enum Device
    {
        /// <summary>CUDA where it really loads, else the CPU.</summary>
        Auto,

        /// <summary>The CPU.</summary>
        Cpu,

        /// <summary>An NVIDIA GPU, or an error.</summary>
        Cuda,
    }
}
