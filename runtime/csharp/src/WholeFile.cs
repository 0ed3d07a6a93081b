using System;
using System.IO;

namespace GenRuntime
{
    /// <summary>Files that are whole or not there.</summary>
    internal static class WholeFile
    {
        /// <summary>Writes a draft beside the target, then gives it the target's name.</summary>
        /// <exception cref="GenFileException">It cannot be written; what was there is still there.</exception>
        public static void Write(string path, params byte[][] pieces)
        {
            string draft = path + ".draft";
            try
            {
                using (FileStream file = File.Create(draft))
                {
                    foreach (byte[] piece in pieces)
                    {
                        file.Write(piece, 0, piece.Length);
                    }
                }
                Rename(draft, path);
            }
            catch (Exception error) when (error is IOException || error is UnauthorizedAccessException)
            {
                if (File.Exists(draft))
                {
                    File.Delete(draft);
                }
                throw new GenFileException($"{path}: cannot be written: {error.Message}", error);
            }
        }

        private static void Rename(string draft, string path)
        {
            if (File.Exists(path))
            {
                File.Replace(draft, path, null);
            }
            else
            {
                File.Move(draft, path);
            }
        }
    }
}
