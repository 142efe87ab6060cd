import fc from 'fast-check';

// A mutant is dead with the first counter-example; the smallest one interests nobody.
fc.configureGlobal({ endOnFailure: true });
