/** What a flow of Flowise is told beside or in place of a question, in Flowise's own words; bounded by the contract. */
export interface FlowInput {
    /** The fields of a flow that begins with a form; stands in place of the question. */
    readonly form?: Readonly<Record<string, unknown>>;
    readonly humanInput?: Readonly<Record<string, unknown>>;
    readonly action?: Readonly<Record<string, unknown>>;
    readonly leadEmail?: string;
}
