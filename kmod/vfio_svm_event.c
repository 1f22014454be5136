// SPDX-License-Identifier: GPL-2.0
/*
 * The event ring: one writer (the spinlock makes it one), one reader in userspace.
 *
 * The reader's index tells how much room there is and nothing else. It is read
 * once for each event, and a value that makes no sense counts as a full ring: a
 * lying reader loses its own events. A page request has its slot reserved before
 * the access is parked, so it is never lost; events that only inform may be, and
 * are counted.
 */
#include <linux/eventfd.h>
#include <linux/module.h>

#include "compat.h"
#include "vfio_svm_private.h"

int vfio_svm_events_init(struct vfio_svm_events *events, int node)
{
	unsigned int records = VFIO_SVM_EVENTS * sizeof(struct vfio_svm_event) / PAGE_SIZE;
	struct vfio_svm_event_hdr *hdr;
	int err;

	spin_lock_init(&events->lock);
	err = vfio_svm_mem_alloc(&events->ring, 1 + records, node);
	if (err)
		return err;
	err = vfio_svm_mem_alloc(&events->index, 1, node);
	if (err)
		goto free_ring;

	hdr = events->ring.va;
	hdr->hdr_len = PAGE_SIZE;
	hdr->record_size = sizeof(struct vfio_svm_event);
	hdr->nb_records = VFIO_SVM_EVENTS;
	return 0;

free_ring:
	vfio_svm_mem_free(&events->ring);
	return err;
}

void vfio_svm_events_free(struct vfio_svm_events *events)
{
	if (events->eventfd)
		eventfd_ctx_put(events->eventfd);
	vfio_svm_mem_free(&events->index);
	vfio_svm_mem_free(&events->ring);
}

/* Slots that neither hold a record nor are promised. */
static u32 events_room(struct vfio_svm_events *events)
{
	const struct vfio_svm_event_index *index = events->index.va;
	u32 used = events->head - READ_ONCE(index->tail);

	if (used > VFIO_SVM_EVENTS)
		used = VFIO_SVM_EVENTS;
	used += events->reserved;
	return used < VFIO_SVM_EVENTS ? VFIO_SVM_EVENTS - used : 0;
}

static void events_write(struct vfio_svm_events *events, const struct vfio_svm_event *event)
{
	struct vfio_svm_event_hdr *hdr = events->ring.va;
	struct vfio_svm_event *slot = events->ring.va + PAGE_SIZE;

	slot += events->head & (VFIO_SVM_EVENTS - 1);
	memcpy(slot, event, offsetof(struct vfio_svm_event, seq));
	events->head++;
	/* Pairs with the reader's acquire load of seq: the record is whole. */
	smp_store_release(&slot->seq, events->head);
	WRITE_ONCE(hdr->head, events->head);
	if (events->eventfd)
		compat_eventfd_signal(events->eventfd);
}

/**
 * vfio_svm_event_post() - tell userspace something; any context but NMI
 * @ctx: the open device
 * @event: all but seq
 *
 * Return: false when there was no room: counted, and gone.
 */
bool vfio_svm_event_post(struct vfio_svm_ctx *ctx, const struct vfio_svm_event *event)
{
	/*
	 * What a worker can cause as often as it likes takes no more than half of the
	 * ring: the rest is for what the owner must hear of others.
	 */
	bool common = event->type == VFIO_SVM_EVENT_NARROWED ||
		      event->type == VFIO_SVM_EVENT_FAULT;
	u32 keep = common ? VFIO_SVM_EVENTS / 2 : 0;
	struct vfio_svm_events *events = &ctx->events;
	struct vfio_svm_event_hdr *hdr = events->ring.va;
	unsigned long flags;
	bool room;

	spin_lock_irqsave(&events->lock, flags);
	room = events_room(events) > keep;
	if (room)
		events_write(events, event);
	else
		WRITE_ONCE(hdr->dropped, ++events->dropped);
	spin_unlock_irqrestore(&events->lock, flags);
	return room;
}
EXPORT_SYMBOL_GPL(vfio_svm_event_post);

/**
 * vfio_svm_event_reserve() - keep a slot for a page request
 * @ctx: the open device
 *
 * A quarter of the ring stays for events that only inform: those cannot wait.
 *
 * Return: true: exactly one of unreserve and post_reserved must follow.
 */
bool vfio_svm_event_reserve(struct vfio_svm_ctx *ctx)
{
	struct vfio_svm_events *events = &ctx->events;
	unsigned long flags;
	bool room;

	spin_lock_irqsave(&events->lock, flags);
	room = events_room(events) > VFIO_SVM_EVENTS / 4;
	if (room)
		events->reserved++;
	spin_unlock_irqrestore(&events->lock, flags);
	return room;
}
EXPORT_SYMBOL_GPL(vfio_svm_event_reserve);

void vfio_svm_event_unreserve(struct vfio_svm_ctx *ctx)
{
	unsigned long flags;

	spin_lock_irqsave(&ctx->events.lock, flags);
	ctx->events.reserved--;
	spin_unlock_irqrestore(&ctx->events.lock, flags);
}
EXPORT_SYMBOL_GPL(vfio_svm_event_unreserve);

void vfio_svm_event_post_reserved(struct vfio_svm_ctx *ctx, const struct vfio_svm_event *event)
{
	unsigned long flags;

	spin_lock_irqsave(&ctx->events.lock, flags);
	ctx->events.reserved--;
	events_write(&ctx->events, event);
	spin_unlock_irqrestore(&ctx->events.lock, flags);
}
EXPORT_SYMBOL_GPL(vfio_svm_event_post_reserved);

/* A record about a bond, with all else 0. */
void vfio_svm_event_of_bond(struct vfio_svm_event *event, u32 type,
			    const struct vfio_svm_bond *bond)
{
	*event = (struct vfio_svm_event){
		.type = type,
		.pasid = bond->pasid,
		.bond_id = bond->id,
		.cookie = bond->cookie,
	};
}
EXPORT_SYMBOL_GPL(vfio_svm_event_of_bond);

/* Take over a reference to an eventfd, or NULL for none. */
void vfio_svm_event_set_eventfd(struct vfio_svm_ctx *ctx, struct eventfd_ctx *eventfd)
{
	unsigned long flags;

	spin_lock_irqsave(&ctx->events.lock, flags);
	swap(ctx->events.eventfd, eventfd);
	spin_unlock_irqrestore(&ctx->events.lock, flags);
	if (eventfd)
		eventfd_ctx_put(eventfd);
}
EXPORT_SYMBOL_GPL(vfio_svm_event_set_eventfd);
