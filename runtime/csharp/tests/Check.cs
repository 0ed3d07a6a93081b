using System;
using System.Collections.Generic;
using System.Linq;

namespace GenRuntime.Tests
{
    /// <summary>What tests claim; a claim that does not hold throws.</summary>
    internal static class Check
    {
        public static void That(bool holds, string claim)
        {
            if (!holds)
            {
                throw new InvalidOperationException(claim);
            }
        }

        public static void Equal<T>(T expected, T found, string what = "value") =>
            That(Equals(expected, found), $"{what}: expected {expected}, found {found}");

        public static void Same<T>(IEnumerable<T> expected, IEnumerable<T> found, string what) =>
            That(
                expected.SequenceEqual(found),
                $"{what}: expected [{string.Join(", ", expected)}], found [{string.Join(", ", found)}]");

        /// <summary>The action throws just this exception, with one line that holds the words.</summary>
        public static void Refused<TError>(Action action, string says) where TError : Exception
        {
            Exception error = ErrorOf(action);
            That(error is TError, $"expected {typeof(TError).Name} with '{says}', found {error?.ToString() ?? "none"}");
            That(error.Message.Contains(says), $"expected '{says}' in '{error.Message}'");
            That(!error.Message.Contains("\n"), $"expected one line, found '{error.Message}'");
        }

        public static Exception ErrorOf(Action action)
        {
            try
            {
                action();
                return null;
            }
            catch (Exception error)
            {
                return error;
            }
        }
    }
}
