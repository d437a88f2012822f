/** How a recount names itself as the owner of a partition: in the checkpoint, for status. */
export const RECOUNT_NAME = 'recount';
